import hmac
import hashlib

WEBHOOK_SECRET = "your-secret"  # Configure in ArgusAI settings

def verify_signature(payload, signature):
    expected = hmac.new(
        WEBHOOK_SECRET.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", signature)

@app.route("/webhook", methods=["POST"])
def handle():
    signature = request.headers.get("X-ArgusAI-Signature")
    if not verify_signature(request.data, signature):
        return "Invalid signature", 401
    # Process webhook...
