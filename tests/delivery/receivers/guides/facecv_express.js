const express = require('express');
const app = express();

app.use(express.json());

app.post('/webhook/face-recognition', (req, res) => {
    const { events } = req.body;
    
    events.forEach(event => {
        if (event.event_type === 'face_recognized') {
            event.data.recognized_faces.forEach(face => {
                console.log(`Recognized: ${face.name} from ${event.camera_id}`);
                // Process recognition...
            });
        }
    });
    
    res.json({ status: 'received' });
});

app.listen(8080);
