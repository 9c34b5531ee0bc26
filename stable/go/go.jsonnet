// A version is one entry of versions: its number and its images. One Dockerfile
// for each phase serves all; the compilers are those of trixie-backports. A version
// is supported until the second after it is out, and has no date before
// (https://go.dev/doc/devel/release#policy).
local go = {
  local version = self,
  local build = { args: { VERSION: version.version } },
  name: 'go' + std.strReplace(version.version, '.', ''),
  // What the phases run: /usr/local/bin/go-function of the init image.
  images: [
    { phase: 'installation', image: version.init, command: 'go-function install', build:: build },
    { phase: 'compilation', image: version.init, command: 'go-function compile', build:: build },
    { phase: 'runtime', image: version.image, build:: build },
  ],
};

{
  ID: 'go',
  depName: 'go.mod',
  fileNameSuffix: '.go',
  versions: [
    go { version: '1.26', init:: 'kubeless/go-init:1.26', image:: 'kubeless/go:1.26' },
    go { version: '1.27', init:: 'kubeless/go-init:1.27', image:: 'kubeless/go:1.27' },
  ],
}
