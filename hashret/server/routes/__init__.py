"""Which paths does the server answer? One file a group of endpoints; `app.py` lists the groups.

Not here: what an answer says, which is `answers.py` and the rooms below the server.
"""
