// The REST API to browse and to try: the service's own OpenAPI document, shown by Swagger UI.

window.SwaggerUIBundle({
  dom_id: "#operations",
  url: "/openapi.json",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  // By default it sends the document to another host to be checked.
  validatorUrl: null,
});
