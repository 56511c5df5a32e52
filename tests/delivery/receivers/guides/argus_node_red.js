// Function node
const payload = msg.payload;
const event = payload.event;

msg.notification = {
    title: payload.rule.name,
    message: event.description,
    camera: event.camera_name,
    thumbnail: event.thumbnail_url
};

return msg;
