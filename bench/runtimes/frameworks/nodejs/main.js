'use strict';

// Does what the contract function does for the loads: hello, or the data back.

const functions = require('@google-cloud/functions-framework');

functions.http('handler', (request, response) => {
  response.send(request.rawBody?.length ? request.body : 'hello world');
});
