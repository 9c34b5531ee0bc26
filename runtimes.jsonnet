// The runtimes of the ConfigMap, in its order.
[
  // Stable
  import 'stable/python/python.jsonnet',
  // Incubator
]
