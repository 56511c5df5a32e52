"""Verifies a request with an official library of Standard Webhooks, named by the argument. Reads JSON, prints valid or invalid."""

import importlib
import json
import sys

request = json.load(sys.stdin)
webhook = importlib.import_module(sys.argv[1]).Webhook(request["secret"])
try:
    webhook.verify(request["body"], request["headers"])
    print("valid")
except Exception as error:
    if type(error).__name__ != "WebhookVerificationError":
        raise
    print("invalid")
