// Handle different response types
app.post('/webhook', async (req, res) => {
  try {
    const event = req.body;
    
    switch (event.type) {
      case 'user.login':
        await handleUserLogin(event);
        break;
        
      case 'data.received':
        await handleDataReceived(event);
        break;
        
      case 'system.alert':
        await handleSystemAlert(event);
        break;
        
      default:
        console.log(`Unknown event type: ${event.type}`);
    }
    
    // Always respond with 200 OK for successful processing
    res.status(200).json({ status: 'processed' });
    
  } catch (error) {
    console.error('Webhook processing error:', error);
    
    // Return appropriate error status
    if (error.type === 'validation') {
      res.status(400).json({ error: 'Invalid payload' });
    } else {
      res.status(500).json({ error: 'Processing failed' });
    }
  }
});
