# gcc and make on a small project with warnings and errors; a program that crashes for the kernel's log.
mkdir -p /home/build/project && cd /home/build/project
for n in 1 2 3 4 5 6 7 8; do
cat > "part$n.c" <<C
#include <stdio.h>
#include <string.h>
static int unused_$n(void) { return $n; }
int part$n(int argc) {
  unsigned int size = $n;
  char name[4];
  int leftover;
  if (argc < size) printf("%s has %d\n", size, "parts");
  strcpy(name, "longer than four");
  return name[0];
}
C
done
printf 'int broken(void) { retrun undeclared_name; }\n' > broken.c
printf 'int part1(int); int missing(void);\nint main(int argc, char **argv) { return part1(argc) + missing(); }\n' > main.c
cat > Makefile <<'MAKE'
CFLAGS = -O2 -Wall -Wextra
objects = main.o part1.o part2.o part3.o part4.o part5.o part6.o part7.o part8.o
all: program broken.o missing.o
program: $(objects)
	$(CC) -o $@ $(objects)
clean:
	rm -f *.o program
MAKE
{ make -k || true; make clean; make -k -j2 || true; } > /samples/result/make.log 2>&1

cat > crashing.c <<'C'
#include <stdlib.h>
int main(int argc, char **argv) {
  switch (argc) {
    case 1: *(volatile int *)8 = 1; break;            /* segfault */
    case 2: __asm__ volatile("ud2"); break;           /* invalid opcode */
    case 3: { volatile long *p = (long *)0x8000000000000000; *p = 1; break; }  /* general protection */
    default: abort();
  }
  return 0;
}
C
gcc -O0 -o crashing crashing.c
for round in 1 2 3 4; do for arguments in "" "a" "a b"; do ./crashing $arguments || true; done; done 2> /dev/null
cd /samples/make
