"""The sender of FCM (HTTP v1): rings and stops for Android apps.

`oauth` fetches and keeps a worker's access token, `message` is what goes to Google, `pending` what
comes back, `policy` what that means. The connections are `app.http2`'s.
"""
