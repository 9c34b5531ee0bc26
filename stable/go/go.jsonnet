// What the phases run: /usr/local/bin/go-function of the init image.
local install = { phase: 'installation', command: 'go-function install' };
local compile = { phase: 'compilation', command: 'go-function compile' };

{
  ID: 'go',
  depName: 'go.mod',
  fileNameSuffix: '.go',
  versions: [
    {
      name: 'go124',
      version: '1.24',
      images: [
        install { image: 'kubeless/go-init:1.24' },
        compile { image: 'kubeless/go-init:1.24' },
        { phase: 'runtime', image: 'kubeless/go:1.24' },
      ],
    },
    {
      name: 'go126',
      version: '1.26',
      images: [
        install { image: 'kubeless/go-init:1.26' },
        compile { image: 'kubeless/go-init:1.26' },
        { phase: 'runtime', image: 'kubeless/go:1.26' },
      ],
    },
  ],
}
