"""The proxy's own pages: what a person sees when there is no upstream page to show.

Owns the words (``languages/``, one JSON file a language), the frames (``templates/``) and the
look (``static/``). Must not know requests, sessions or settings: every value is handed in and
escaped here. A page holds no script and no inline style, so that its policy can refuse both.

Begin with ``render.py``; ``language.py`` chooses and reads the words.
"""
