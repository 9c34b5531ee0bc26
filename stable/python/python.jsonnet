// pip's --user scheme under the volume: Python finds the packages of the
// installation phase there by itself, after its own standard library.
local userSite = { PYTHONUSERBASE: '$(KUBELESS_INSTALL_VOLUME)' };

{
  ID: 'python',
  depName: 'requirements.txt',
  fileNameSuffix: '.py',
  versions: [
    {
      name: 'python311',
      version: '3.11',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/python-init:3.11',
          // Packages that the init image has for itself count as missing:
          // the runtime image does not have them.
          command: 'pip install --user --ignore-installed -r $KUBELESS_DEPS_FILE',
          env: userSite,
        },
        {
          phase: 'runtime',
          image: 'kubeless/python:3.11',
          env: userSite,
        },
      ],
    },
    {
      name: 'python313',
      version: '3.13',
      images: [
        {
          phase: 'installation',
          image: 'kubeless/python-init:3.13',
          command: 'pip install --user --ignore-installed -r $KUBELESS_DEPS_FILE',
          env: userSite,
        },
        {
          phase: 'runtime',
          image: 'kubeless/python:3.13',
          env: userSite,
        },
      ],
    },
  ],
}
