from fastapi import FastAPI, Request
import logging

app = FastAPI()
logger = logging.getLogger(__name__)

@app.post("/webhook/face-recognition")
async def receive_webhook(request: Request):
    data = await request.json()
    
    for event in data.get("events", []):
        if event["event_type"] == "face_recognized":
            for face in event["data"]["recognized_faces"]:
                logger.info(f"Recognized: {face['name']} from {event['camera_id']}")
                # Process recognition...
                
    return {"status": "received"}
