// A version is one entry of versions: its number, its end of life, the Debian
// suite that has it, and its images. One Dockerfile for each phase serves all.
// Ends of life: https://www.php.net/supported-versions.php
local php = {
  local version = self,
  local build = { args: { VERSION: version.version, SUITE: version.suite } },
  name: 'php' + std.strReplace(version.version, '.', ''),
  images: [
    {
      phase: 'installation',
      image: version.init,
      // Composer installs into the volume's vendor folder; the worker requires
      // the autoloader in it.
      command: 'composer install --no-dev --prefer-dist --optimize-autoloader --working-dir $KUBELESS_INSTALL_VOLUME',
      build:: build,
    },
    { phase: 'runtime', image: version.image, build:: build },
  ],
};

{
  ID: 'php',
  depName: 'composer.json',
  fileNameSuffix: '.php',
  versions: [
    php { version: '8.2', eol:: '2026-12-31', suite:: 'bookworm', init:: 'kubeless/php-init:8.2', image:: 'kubeless/php:8.2' },
    php { version: '8.4', eol:: '2028-12-31', suite:: 'trixie', init:: 'kubeless/php-init:8.4', image:: 'kubeless/php:8.4' },
  ],
}
