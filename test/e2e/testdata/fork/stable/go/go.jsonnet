{
  ID: 'go',
  versions: [
    {
      name: 'go1.13',
      version: '1.13',
      images: [
        {
          phase: 'compilation',
          image: 'kubeless/go-init@sha256:1313131313131313131313131313131313131313131313131313131313131313',
          command: '/compile-function.sh $KUBELESS_FUNC_NAME',
        },
        {
          phase: 'runtime',
          image: 'kubeless/go@sha256:0113011301130113011301130113011301130113011301130113011301130113',
        },
      ],
    },
    {
      name: 'go1.14',
      version: '1.14',
      images: [
        {
          phase: 'compilation',
          image: 'kubeless/go-init@sha256:1414141414141414141414141414141414141414141414141414141414141414',
          command: '/compile-function.sh $KUBELESS_FUNC_NAME',
        },
        {
          phase: 'runtime',
          image: 'kubeless/go@sha256:0113011301130113011301130113011301130113011301130113011301130113',
        },
      ],
    },
  ],
  depName: 'Gopkg.toml',
  fileNameSuffix: '.go',
}
