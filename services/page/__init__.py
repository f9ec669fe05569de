"""The page at `/`: HTML, styles, ES modules and what is vendored for them. No Python; services.api.page serves it."""
