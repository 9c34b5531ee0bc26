// A version is one entry of versions: its number, its end of life, the Debian
// suite that has it, and its images. One Dockerfile for each phase serves all.
// Ends of life: https://www.ruby-lang.org/en/downloads/branches/
local ruby = {
  local version = self,
  local build = { args: { VERSION: version.version, SUITE: version.suite } },
  name: 'ruby' + std.strReplace(version.version, '.', ''),
  images: [
    {
      phase: 'installation',
      image: version.init,
      // A standalone bundle: the worker requires the setup.rb in it, which puts
      // the gems into Ruby's load path, and needs neither Bundler nor RubyGems
      // for it.
      command: 'bundle install --standalone --gemfile $KUBELESS_DEPS_FILE',
      env: { BUNDLE_PATH: '$(KUBELESS_INSTALL_VOLUME)/vendor/bundle' },
      build:: build,
    },
    { phase: 'runtime', image: version.image, build:: build },
  ],
};

{
  ID: 'ruby',
  depName: 'Gemfile',
  fileNameSuffix: '.rb',
  versions: [
    ruby { version: '3.3', eol:: '2027-03-31', suite:: 'trixie', init:: 'kubeless/ruby-init:3.3', image:: 'kubeless/ruby:3.3' },
  ],
}
