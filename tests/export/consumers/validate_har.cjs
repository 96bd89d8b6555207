// Validates a HAR file against the published schema (har-schema 2.0, HAR 1.2); prints what is wrong, exits 1.
const { readFileSync } = require('node:fs');
const { har } = require('har-validator');

har(JSON.parse(readFileSync(process.argv[2], 'utf8'))).catch((error) => {
  console.error(JSON.stringify(error.errors, null, 1));
  process.exit(1);
});
