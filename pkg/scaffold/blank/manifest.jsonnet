// A version is one entry of versions: its number and its image. Beside the number,
// eol:: 'YYYY-MM-DD' is the last day of its support.
local runtime = {
  local version = self,
  name: '{{ .Name }}' + std.strReplace(version.version, '.', ''),
  images: [
    { phase: 'runtime', image: version.image, build:: { args: { VERSION: version.version } } },
  ],
};

{
  ID: '{{ .Name }}',
  fileNameSuffix: '.sh',
  versions: [
{{- range .Versions }}
    runtime { version: '{{ . }}', image:: '{{ $.Image }}:{{ . }}' },
{{- end }}
  ],
}
