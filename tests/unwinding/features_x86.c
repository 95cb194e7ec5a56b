/* Functions of every calling convention and shape of frame that clang makes for 32-bit Windows. */
typedef int (*callback)(int);
typedef int (__stdcall *standard)(int, int);
struct big { int words[12]; };
#define APART __attribute__((noinline))

static volatile int sink;
extern int entry(void);
void stop(void) { sink = 1; }
int _fltused;

void *memcpy(void *to, const void *from, unsigned size) {
  for (volatile unsigned at = 0; at < size; at++) ((volatile char *)to)[at] = ((const volatile char *)from)[at];
  return to;
}
void *memset(void *to, int value, unsigned size) {
  for (volatile unsigned at = 0; at < size; at++) ((volatile char *)to)[at] = (char)value;
  return to;
}

APART int leaf(int a) { return a * 3 + 1; }
APART int twice(int a) { return leaf(a) + leaf(a + 1); }
APART int recurse(int depth, int a) { return depth ? recurse(depth - 1, a + depth) + leaf(a) : twice(a); }
APART int tail(int a) { sink = a; return twice(a + 2); }
APART int __stdcall cleans(int a, int b) { return leaf(a) ^ twice(b); }
APART int __stdcall cleans_three(int a, int b, int c) { return cleans(a, b) + cleans(c, a); }
APART int __fastcall in_registers(int a, int b, int c, int d) { return cleans(a + c, b) + leaf(d); }
APART int many(int a, int b, int c, int d, int e, int f, int g) {
  return leaf(a) + twice(b) * leaf(c) - cleans(d, e) + recurse(2, f) + (g & leaf(g));
}
APART int nested(int a, int b) { return many(a, leaf(b), twice(a), cleans(leaf(a), twice(b)), 5, leaf(b), 7); }
APART int buffer(int a) {
  volatile int room[40];
  for (int at = 0; at < 40; at++) room[at] = a + at;
  return leaf(room[a & 7]) + twice(room[3]);
}
APART struct big by_value(struct big in, int a) {
  struct big out = in;
  out.words[a & 7] = twice(a) + leaf(in.words[1]);
  return out;
}
APART int structures(int a) {
  struct big one = {{a, 2, 3}};
  struct big two = by_value(one, a);
  return by_value(two, leaf(a)).words[2] + twice(two.words[1]);
}
APART int choose(int a) {
  switch (a & 7) {
    case 0: return leaf(a);
    case 1: return twice(a) + leaf(2);
    case 2: return cleans(a, a);
    case 3: return nested(a, 1);
    case 5: return recurse(3, a);
    default: return buffer(a);
  }
}
APART int indirect(callback one, standard two, int a) { return one(a) + two(a, one(a + 1)) + one(leaf(a)); }
APART int dynamic(int count) {
  volatile char *room = __builtin_alloca(16 + (count & 31));
  room[0] = (char)count;
  return leaf(room[0]) + twice(count);
}
APART int early(int a, int b) {
  if (a > 100) return 0;
  int first = twice(a);
  if (first & 1) return leaf(first);
  return many(first, b, a, 4, 5, 6, 7) + leaf(b);
}
APART long long wide(long long a, int b) { return (a << 3) + twice(b) + ((long long)leaf(b) << 20); }
APART int spread(int count, ...) {
  __builtin_va_list list;
  int sum = 0;
  __builtin_va_start(list, count);
  for (int at = 0; at < count; at++) sum += leaf(__builtin_va_arg(list, int));
  __builtin_va_end(list);
  return sum + twice(sum);
}

__declspec(dllexport) int entry(void) {
  int sum = nested(1, 2) + structures(3) + indirect(twice, cleans, 4) + dynamic(21) + (int)wide(5, 6);
  for (int at = 0; at < 8; at++) sum += choose(at) + early(at, sum & 15);
  sum += in_registers(1, 2, 3, 4) + cleans_three(7, 8, 9) + spread(3, 1, 2, 3) + tail(9) + recurse(5, 1);
  stop();
  return sum;
}
