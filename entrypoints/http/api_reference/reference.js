// Shows openapi.json with Swagger UI, which swagger-ui-bundle.js defines.
SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  // A key that was typed in is forgotten with the page.
  persistAuthorization: false,
  // Otherwise the document would be sent to a validator on the internet.
  validatorUrl: null,
});
