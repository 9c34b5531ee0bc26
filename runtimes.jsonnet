// The runtimes of the ConfigMap, in its order.
[
  // Stable
  import 'stable/go/go.jsonnet',
  import 'stable/java/java.jsonnet',
  import 'stable/nodejs/nodejs.jsonnet',
  import 'stable/php/php.jsonnet',
  import 'stable/python/python.jsonnet',
  import 'stable/ruby/ruby.jsonnet',
  // Incubator
  import 'incubator/binary/binary.jsonnet',
  import 'incubator/nodejs_distroless/nodejs_distroless.jsonnet',
]
