const { marked } = require('marked');

module.exports = {
  handler: function (event, context) {
    return marked.parse('# hello world');
  },
};
