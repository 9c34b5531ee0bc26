module.exports = {
  handler: function (event, context) {
    console.log(event['event-id'], event['event-type'], event.data);
    return event.data;
  },
};
