// A version is one entry of versions: its number, its end of life, the Debian
// suite that has it, and its images. One Dockerfile for each phase serves all.
// Ends of life: https://github.com/nodejs/Release
local nodejs = {
  local version = self,
  name: 'nodejs' + version.version,
  images: [
    {
      phase: 'installation',
      image: version.init,
      command: 'npm install --omit=dev',
      build:: { args: { VERSION: version.version } },
    },
    {
      phase: 'runtime',
      image: version.image,
      // Node.js finds the packages beside the function by itself; the path is
      // for modules that lie elsewhere.
      env: { NODE_PATH: '$(KUBELESS_INSTALL_VOLUME)/node_modules' },
      build:: { args: { VERSION: version.version, SUITE: version.suite } },
    },
  ],
};

{
  ID: 'nodejs',
  depName: 'package.json',
  fileNameSuffix: '.js',
  versions: [
    nodejs {
      version: '20',
      eol:: '2026-04-30',
      suite:: 'trixie',
      init:: 'kubeless/nodejs-init:20',
      image:: 'kubeless/nodejs:20',
    },
    nodejs {
      version: '24',
      eol:: '2028-04-30',
      suite:: 'forky',
      init:: 'kubeless/nodejs-init:24',
      image:: 'kubeless/nodejs:24',
    },
  ],
}
