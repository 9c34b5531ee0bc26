exports.handler = () => {
  // The next line has a syntax error.
  return 'hello' 'world';
};
