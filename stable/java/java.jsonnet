// A version is one entry of versions: its number, its end of life, the Debian
// suite that has it, and its images. One Dockerfile for each phase serves all.
// Ends of life: https://adoptium.net/support/, which is until when at least there are fixes
local java = {
  local version = self,
  local build = { args: { VERSION: version.version, SUITE: version.suite } },
  name: 'java' + version.version,
  images: [
    // One script compiles and gets the dependencies, with one run of Maven:
    // there is no installation phase. Classes and jars land where the worker
    // looks.
    { phase: 'compilation', image: version.init, command: 'compile-function', build:: build },
    { phase: 'runtime', image: version.image, build:: build },
  ],
};

{
  ID: 'java',
  depName: 'pom.xml',
  fileNameSuffix: '.java',
  versions: [
    java { version: '17', eol:: '2027-10-31', suite:: 'bookworm', init:: 'kubeless/java-init:17', image:: 'kubeless/java:17' },
    java { version: '21', eol:: '2029-12-31', suite:: 'trixie', init:: 'kubeless/java-init:21', image:: 'kubeless/java:21' },
    java { version: '25', eol:: '2031-09-30', suite:: 'trixie', init:: 'kubeless/java-init:25', image:: 'kubeless/java:25' },
  ],
}
