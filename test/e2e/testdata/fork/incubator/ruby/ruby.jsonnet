{
  ID: 'ruby',
  versions: [
    {
      name: 'ruby26',
      version: '2.6',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/ruby-init:2.6@sha256:2626262626262626262626262626262626262626262626262626262626262626',
          command: 'bundle install --gemfile=$KUBELESS_DEPS_FILE --path=$KUBELESS_INSTALL_VOLUME',
        },
        {
          phase: 'runtime',
          image: 'kubeless/ruby:2.6@sha256:0262026202620262026202620262026202620262026202620262026202620262',
        },
      ],
    },
  ],
  depName: 'Gemfile',
  fileNameSuffix: '.rb',
}
