//! What `promtool test rules` 2.42 made of templates, for the sample `x{a="b", instance="web.example.com:9100"} 3661.5`.

/// Templates with their texts.
pub(super) const EXPANDED: [(&str, &str); 14] = [
    (
        r##"{{ printf "%+d %x %5s|%-5s|%.2s %c %U %T" 5 "hi" "a" "b" "cde" 65 65 1.5 }}"##,
        r##"+5 6869     a|b    |cd A U+0041 float64"##,
    ),
    (
        r##"{{ printf "%d%% %d" 5 }} {{ printf "%s" "a" "b" }} {{ printf "%*d %.3f" 4 7 2.0 }} {{ printf "%" }}"##,
        r##"5% %!d(MISSING) a%!(EXTRA string=b)    7 2.000 %!(NOVERB)"##,
    ),
    (
        r##"{{ stripPort "[::1]:80" }} {{ stripDomain "10.0.0.1:80" }} {{ stripPort "x" }} {{ $labels.instance | stripDomain }}"##,
        r##"::1 10.0.0.1:80 x web:9100"##,
    ),
    (
        r##"{{ title "aa bb-cc x_y a.b 'q don't" }} {{ reReplaceAll "(\\w+)\\.(.*)" "$2:$1" "a.b" }}"##,
        r##"Aa Bb-Cc X_y A.B 'Q Don'T b:a"##,
    ),
    (
        r##"{{ html "<a>'\"&" }} {{ js "'\"<\n" }} {{ urlquery "a/b c" }} {{ graphLink "up == 0" }}"##,
        r##"&lt;a&gt;&#39;&#34;&amp; \'\"\u003C\u000A a%2Fb+c /graph?g0.expr=up+%3D%3D+0&g0.tab=0"##,
    ),
    (
        r##"{{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ humanizeDuration 0.0005 }} {{ humanize 59.9999 }}"##,
        r##"3.662k 3.576ki 1h 1m 1s 3.662e+05% 500us 60"##,
    ),
    (
        r##"{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" "a" }}{{ template "t" }}{{ block "b" 5 }}[{{ . }}]{{ end }}"##,
        r##"<a><<no value>>[5]"##,
    ),
    (
        r##"{{ slice "abcdef" 1 3 }} {{ index $labels "a" }} {{ index "abc" 0 }} {{ `raw \n` }} {{ "\u00e9\x41\101" }} {{ 'a' }}"##,
        r##"bc b 97 raw \n éAA 97"##,
    ),
    (
        r##"{{ humanizeTimestamp -86400 }} {{ humanizeTimestamp 951782400 }} {{ 0.1 }} {{ 1e21 }} {{ 123456.0 }} {{ 1234567.0 }} {{ -0.0001 }} {{ 0.00001 }}"##,
        r##"1969-12-31 00:00:00 +0000 UTC 2000-02-29 00:00:00 +0000 UTC 0.1 1e+21 123456 1.234567e+06 -0.0001 1e-05"##,
    ),
    (
        r##"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }} {{ printf "%v %s %q" $labels "x" 65 }} {{ printf "%6.2f|%-8.1f|%+.1e|%g" 3.14159 2.0 12345.0 100000.0 }}"##,
        r##"2 map[__name__:x a:b instance:web.example.com:9100] x 'A'   3.14|2.0     |+1.2e+04|100000"##,
    ),
    (
        r##"{{ printf "%t %v %d %s" true nil 3 $labels }} {{ printf "%08.3f %x %X %o %b %#x" -3.5 255 255 8 5 255 }} {{ print nil 1 }} {{ println }}"##,
        "true <nil> 3 map[__name__:x a:b instance:web.example.com:9100] -003.500 ff FF 10 101 0xff <nil> 1 \n",
    ),
    (
        r##"{{ parseDuration "1h30m" }} {{ toTime 1435065584.5 }} {{ len $labels }} {{ printf "%5t|%-5v|%3c|" true 1 65 }} {{ args }}"##,
        r##"5400 2015-06-23 13:19:44.5 +0000 UTC 3  true|1    |  A| map[]"##,
    ),
    (r##"a  {{- /* gone */ -}}  b {{/* too */}} c {{- 1 -}} d"##, r##"ab  c1d"##),
    (
        r##"{{ with $labels.none }}a{{ else }}b{{ end }} {{ range $k, $v := $labels }}{{ $k }}:{{ $v }} {{ end }} {{ and 1 0 "x" }} {{ or 0 "" "z" }} {{ not "" }}"##,
        r##"b __name__:x a:b instance:web.example.com:9100  0 z true"##,
    ),
];
