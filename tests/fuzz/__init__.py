"""Requests that nobody thought of: schemathesis over the OpenAPI, our own over pages and sockets."""
