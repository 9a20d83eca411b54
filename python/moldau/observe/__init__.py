"""What a node tells about itself. Every name is declared once, here."""
