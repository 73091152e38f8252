# Files for the scanner, made by the programs whose formats they have: a compiler, a linker, zip,
# gzip, qrencode (PNG), netpbm (GIF, JPEG) and groff (PDF, PostScript).
files=/samples/result/files
mkdir -p "$files" /home/build/files && cd /home/build/files
printf 'void _start(void) { __asm__ volatile("syscall" :: "a"(60), "D"(0)); __builtin_unreachable(); }\n' > tiny.c
gcc -Os -nostdlib -static -s -Wl,-N -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,--build-id=none -fno-asynchronous-unwind-tables -o tiny tiny.c
gcc -Os -c -fno-asynchronous-unwind-tables -o tiny.o tiny.c
# The linker also knows the format of Windows.
objcopy -R .comment -R .note.gnu.property tiny.o bare.o
ld -m i386pep -s -e _start -o tiny.exe bare.o
printf '#!/bin/sh\nexec /bin/true\n' > tool.sh
printf 'Quarterly figures\n' > note.txt
printf '<?php echo "hello"; ?>\n' > page.php
printf '<html><body><p>Hello</p></body></html>\n' > page.html
printf '<?xml version="1.0"?>\n<note>hello</note>\n' > note.xml
printf '{"name":"value"}\n' > data.json
qrencode -s 1 -o picture.png 'a picture'
pngtopnm picture.png > picture.pnm 2> /dev/null
pnmtojpeg picture.pnm > picture.jpg
ppmtogif picture.pnm > picture.gif 2> /dev/null
printf '.PP\nA page.\n' | groff -ms -Tpdf > page.pdf
printf '.PP\nA page.\n' | groff -ms -Tps > page.ps
zip -q -X archive.zip note.txt data.json
zip -q -X with-program.zip tiny
gzip -kn note.txt
tar --owner=0 --group=0 --mtime=@0 -cf archive.tar note.txt
cp tiny "$files/program"; cp tiny.exe "$files/program.exe"
cp tool.sh note.txt page.php page.html note.xml data.json picture.png picture.jpg picture.gif page.pdf page.ps \
  archive.zip note.txt.gz archive.tar "$files/"
# Names that lie and files in files.
cp tiny "$files/invoice.pdf.exe"
cp tiny "$files/holiday.jpg"
cp tiny.exe "$files/report.pdf"
cp tool.sh "$files/readme.txt"
cp page.php "$files/avatar.php.gif"
cat picture.gif page.php > "$files/shell.gif"
cat picture.png archive.zip > "$files/picture-zip.png"
cat page.pdf tiny > "$files/page-elf.pdf"
cat picture.jpg tiny.exe > "$files/picture-pe.jpg"
cp tiny "$files/.hidden"
cd /samples/make
