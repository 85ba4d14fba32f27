/* Loaded in front of a program (LD_PRELOAD), counts what it does in user space: allocations, locks, and copies of more
 * than 64 bytes. The counters are in the file that BENCH_COUNTS names, so that whoever watches reads them at any time
 * without a word to the program. Copies inside libc itself (of its stdio, say) are not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kAllocations, kAllocatedBytes, kLocks, kCopies, kCopiedBytes, kCounters };
static uint64_t before_file[kCounters];
static uint64_t* counters = before_file;

static void count(int which, uint64_t by) { __atomic_fetch_add(&counters[which], by, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void open_counters(void) {
  const char* path = getenv("BENCH_COUNTS");
  int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  void* page = MAP_FAILED;
  if (ftruncate(fd, sizeof before_file) == 0)
    page = mmap(NULL, sizeof before_file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) counters = page;
}

static void count_allocation(size_t size) {
  count(kAllocations, 1);
  count(kAllocatedBytes, size);
}

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) { return count_allocation(size), __libc_malloc(size); }
void* calloc(size_t n, size_t size) { return count_allocation(n * size), __libc_calloc(n, size); }
void* realloc(void* p, size_t size) { return count_allocation(size), __libc_realloc(p, size); }
void* memalign(size_t align, size_t size) { return count_allocation(size), __libc_memalign(align, size); }
void* aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void** out, size_t align, size_t size) { return (*out = memalign(align, size)) ? 0 : 12; }

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static int (*next)(pthread_mutex_t*);
  if (!next) *(void**)&next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
  count(kLocks, 1);
  return next(mutex);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  static int (*next)(pthread_rwlock_t*);
  if (!next) *(void**)&next = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
  count(kLocks, 1);
  return next(lock);
}

static void count_copy(size_t size) {
  if (size <= 64) return;
  count(kCopies, 1);
  count(kCopiedBytes, size);
}

/* By the processor's own means: libc's functions are what is replaced here. */
static void* forward_copy(void* to, const void* from, size_t size) {
  void* at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
  return to;
}
void* memcpy(void* to, const void* from, size_t size) { return count_copy(size), forward_copy(to, from, size); }
void* memmove(void* to, const void* from, size_t size) {
  count_copy(size);
  if ((uintptr_t)to - (uintptr_t)from >= size) return forward_copy(to, from, size);
  uint8_t* end = (uint8_t*)to + size - 1;
  const uint8_t* last = (const uint8_t*)from + size - 1;
  __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(end), "+S"(last), "+c"(size) : : "memory");
  return to;
}
void* __memcpy_chk(void* to, const void* from, size_t size, size_t room) { return (void)room, memcpy(to, from, size); }
void* __memmove_chk(void* to, const void* from, size_t size, size_t room) {
  return (void)room, memmove(to, from, size);
}
