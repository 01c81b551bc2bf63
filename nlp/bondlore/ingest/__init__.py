"""The world -> Article: feeds, pages and archives, their dates and their dangers."""
