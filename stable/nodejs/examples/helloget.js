module.exports = {
  handler: function (event, context) {
    return 'hello world';
  },
};
