-- By how much the wall clock was set while a message waited: its own times must not change, and yet it is no older for that.
ALTER TABLE delivery ADD COLUMN clock_set_ms INTEGER NOT NULL DEFAULT 0;
