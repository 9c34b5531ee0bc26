// pip's --user scheme under the volume: Python finds the packages of the
// installation phase there by itself, after its own standard library.
local userSite = { PYTHONUSERBASE: '$(KUBELESS_INSTALL_VOLUME)' };

// A version is one entry of versions: its number, its end of life, the Debian
// suite that has it, and its images. One Dockerfile for each phase serves all.
// Ends of life: https://devguide.python.org/versions/
local python = {
  local version = self,
  local build = { args: { VERSION: version.version, SUITE: version.suite } },
  name: 'python' + std.strReplace(version.version, '.', ''),
  images: [
    {
      phase: 'installation',
      image: version.init,
      // Packages that the init image has for itself count as missing:
      // the runtime image does not have them.
      command: 'pip install --user --ignore-installed -r $KUBELESS_DEPS_FILE',
      env: userSite,
      build:: build,
    },
    {
      phase: 'runtime',
      image: version.image,
      env: userSite,
      build:: build,
    },
  ],
};

{
  ID: 'python',
  depName: 'requirements.txt',
  fileNameSuffix: '.py',
  versions: [
    python {
      version: '3.11',
      eol:: '2027-10-31',
      suite:: 'bookworm',
      init:: 'kubeless/python-init:3.11',
      image:: 'kubeless/python:3.11',
    },
    python {
      version: '3.13',
      eol:: '2029-10-31',
      suite:: 'trixie',
      init:: 'kubeless/python-init:3.13',
      image:: 'kubeless/python:3.13',
    },
    python {
      version: '3.14',
      eol:: '2030-10-31',
      suite:: 'forky',
      init:: 'kubeless/python-init:3.14',
      image:: 'kubeless/python:3.14',
    },
  ],
}
