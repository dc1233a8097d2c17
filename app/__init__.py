"""Ringline: a self-hosted ring service for apps with native call screens."""
