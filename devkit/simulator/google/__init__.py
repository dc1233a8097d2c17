"""A fake Google: the token endpoint of service accounts, and FCM HTTP v1.

Beside the fake Apple, in the same process, with the same faults and the same lists; it speaks
HTTP/2 and HTTP/1.1, as Google does. What it refuses, and with which words, is from Google's pages
("Method: projects.messages.send", "FCM error codes", "Using OAuth 2.0 for server to server
applications").
"""
