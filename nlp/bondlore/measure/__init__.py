"""Taggings and yields become share series with honest intervals.

Import what you need from its module: `calendar`, `yields`, `yields_sources`, `shares`, `series`, `changes`,
`confusion`. Nothing here is imported eagerly, so the package stays light.
"""
