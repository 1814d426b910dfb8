"""How do programs and people ask over HTTP? An app that answers from collections, and its guards.

It only reads. The extra `serve` brings FastAPI and uvicorn; nothing else in hashret needs them.
"""
