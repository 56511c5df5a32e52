"""Home Assistant with its HTTP server, webhooks and automations, and nothing else: home_assistant.py AUTOMATIONS.yaml

Runs the automations of the file as they stand. Prints `listening PORT`, then a line for each call of the notification
service that they end in, with its data. The service is Home Assistant's own mechanism with a body that prints: the phone
is what is missing.
"""

import asyncio
import json
import socket
import sys
import tempfile

from homeassistant import auth, config_entries, core, loader
from homeassistant.helpers import (
    area_registry, device_registry, entity, entity_registry, issue_registry, restore_state, translation,
)
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml



async def main(automations):
    with tempfile.TemporaryDirectory() as folder:
        hass = core.HomeAssistant(folder)
        hass.config.skip_pip = True
        loader.async_setup(hass)
        translation.async_setup(hass)
        entity.async_setup(hass)
        hass.config_entries = config_entries.ConfigEntries(hass, {})
        for registry in (area_registry, device_registry, entity_registry, issue_registry):
            await registry.async_load(hass)
        await restore_state.async_load(hass)
        hass.auth = await auth.auth_manager_from_config(hass, [], [])

        def notify(call):
            print("notified", json.dumps(dict(call.data)), flush=True)

        hass.services.async_register("notify", "mobile_app_phone", notify)
        port = free_port()
        server = {"http": {"server_host": "127.0.0.1", "server_port": port}}
        for component, config in (("http", server), ("webhook", {}), ("automation", load_yaml(automations))):
            if not await async_setup_component(hass, component, config):
                sys.exit(f"home_assistant.py: {component} does not start")
        await hass.async_start()
        print("listening", port, flush=True)
        await asyncio.Event().wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


asyncio.run(main(sys.argv[1]))
