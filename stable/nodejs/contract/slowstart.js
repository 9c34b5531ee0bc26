Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);

exports.handler = () => 'started';
