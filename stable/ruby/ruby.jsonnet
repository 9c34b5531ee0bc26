// A standalone bundle: the worker requires the setup.rb in it, which puts the
// gems into Ruby's load path, and needs neither Bundler nor RubyGems for it.
local install = {
  command: 'bundle install --standalone --gemfile $KUBELESS_DEPS_FILE',
  env: { BUNDLE_PATH: '$(KUBELESS_INSTALL_VOLUME)/vendor/bundle' },
};

{
  ID: 'ruby',
  depName: 'Gemfile',
  fileNameSuffix: '.rb',
  versions: [
    {
      name: 'ruby31',
      version: '3.1',
      images: [
        install {
          phase: 'installation',
          image: 'kubeless/ruby-init:3.1',
        },
        {
          phase: 'runtime',
          image: 'kubeless/ruby:3.1',
        },
      ],
    },
    {
      name: 'ruby33',
      version: '3.3',
      images: [
        install {
          phase: 'installation',
          image: 'kubeless/ruby-init:3.3',
        },
        {
          phase: 'runtime',
          image: 'kubeless/ruby:3.3',
        },
      ],
    },
  ],
}
