"""What if a stranger's file kills its decoder? Processes with limits that do the risky work.

The item that kills a worker is found and refused; all others come back. Messages hold no pickle.
"""
