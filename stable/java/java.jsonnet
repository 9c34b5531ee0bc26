// One script compiles and gets the dependencies, with one run of Maven: there
// is no installation phase. Classes and jars land where the worker looks.
local compile = { phase: 'compilation', command: 'compile-function' };

{
  ID: 'java',
  depName: 'pom.xml',
  fileNameSuffix: '.java',
  versions: [
    {
      name: 'java17',
      version: '17',
      images: [
        compile { image: 'kubeless/java-init:17' },
        { phase: 'runtime', image: 'kubeless/java:17' },
      ],
    },
    {
      name: 'java21',
      version: '21',
      images: [
        compile { image: 'kubeless/java-init:21' },
        { phase: 'runtime', image: 'kubeless/java:21' },
      ],
    },
    {
      name: 'java25',
      version: '25',
      images: [
        compile { image: 'kubeless/java-init:25' },
        { phase: 'runtime', image: 'kubeless/java:25' },
      ],
    },
  ],
}
