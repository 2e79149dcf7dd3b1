/* A CUDA driver for machines without a GPU, for tests: what kernels/cuda/driver.py asks of libcuda, with kernels that
   are functions of this processor (on_cpu.py makes them of the LLVM code that a GPU's would be made of).

   Blocks run in turn. The threads of a block run in turn too, each up to the next barrier (fibres, the default), or at
   once, as real threads with a real barrier. Every load and store outside a thread's own stack is shown to `nb_touch`,
   which knows all arrays and the block's shared memory, and, for fibres, who touched what since the last barrier. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { OK, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, FAILED = 719 };
enum { MOST_ARRAYS = 256, MOST_SHARED = 8, MOST_THREADS = 1024, STACK = 256 * 1024 };

/* Who touched a place in this launch, or of shared memory in this block: threads are numbered from 1 in their blocks, blocks from 1. Epochs grow at every
   barrier and with every block. */
typedef struct { uint32_t scope, writer, writer_block, wrote_in, reader, reader_block, read_in, several_in, blocks; } touched;
typedef struct { char *base; size_t size, item; touched *shadow; } array;
typedef void (*entry_point)(const void *parameters);
typedef struct {
    entry_point entry;
    size_t parameters;
    int n_arrays, n_shared, array_at[MOST_ARRAYS];
    size_t shared_at[MOST_SHARED], shared_size[MOST_SHARED];
} kernel;

/* What a test sets, and what it reads. */
int nb_threads_at_once, nb_reversed, nb_idle, nb_version = 13000, nb_capability = 90, nb_devices = 1;
size_t nb_free_memory = (size_t)8 << 30;
char nb_failing[64];
int nb_fails_after = -1, nb_fails_with;
char nb_complaint[512];
long nb_launches, nb_allocations, nb_frees, nb_to_device, nb_to_host, nb_memsets, nb_bytes_to_device, nb_loads, nb_rows;
int (*nb_load)(const char *code, const char *name, kernel *made);

static array arrays[MOST_ARRAYS], shared[MOST_SHARED], passed[MOST_ARRAYS];  /* allocated; of blocks; of this launch */
static array *last;  /* the one that was touched before */
static int n_arrays, n_shared, n_passed, lost;
static pthread_mutex_t one_call = PTHREAD_MUTEX_INITIALIZER;

/* A block under way. */
static __thread uint32_t tid_x;
static uint32_t ntid_x, ctaid_x, ctaid_y, grid_x;
static uint32_t launch_number, block_number, epoch, running;
static jmp_buf scheduler, fibres[MOST_THREADS];  /* these switch without a system call */
static int made[MOST_THREADS];  /* whether a fibre has begun, and waits for its next block */
static char *stacks[MOST_THREADS], *own_low, *own_high;
static enum { READY, AT_BARRIER, ENDED } states[MOST_THREADS];
static volatile int stopped;
static entry_point entry_of_block;
static const void *parameters_of_block;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static uint32_t arrived, alive, generation;
static __thread char *stack_low, *stack_high;

int nb_tid_x(void) { return tid_x; }
int nb_tid_y(void) { return 0; }
int nb_tid_z(void) { return 0; }
int nb_ntid_x(void) { return ntid_x; }
int nb_ntid_y(void) { return 1; }
int nb_ntid_z(void) { return 1; }
int nb_ctaid_x(void) { return ctaid_x; }
int nb_ctaid_y(void) { return ctaid_y; }
int nb_ctaid_z(void) { return 0; }

/* The first complaint of a launch is kept; the thread that has it does not go on. */
static void stop(const char *what, const void *address, int size)
{
    pthread_mutex_lock(&gate);
    if (!stopped)
        snprintf(nb_complaint, sizeof nb_complaint, "%s (%d bytes at %p; block %u %u, thread %u)", what, size, address,
                 ctaid_x, ctaid_y, tid_x);
    stopped = 1;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&gate);
    if (nb_threads_at_once) pthread_exit(NULL);
    memset(made, 0, sizeof made);  /* they are left where they are */
    _longjmp(scheduler, 1);
}

void nb_barrier(void)
{
    if (!nb_threads_at_once) {
        states[running] = AT_BARRIER;
        if (!_setjmp(fibres[running])) _longjmp(scheduler, 1);
        return;
    }
    pthread_mutex_lock(&gate);
    uint32_t mine = generation;
    if (++arrived == alive) {
        arrived = 0;
        generation++;
        pthread_cond_broadcast(&opened);
    }
    while (mine == generation && !stopped) pthread_cond_wait(&opened, &gate);
    pthread_mutex_unlock(&gate);
    if (stopped) pthread_exit(NULL);
}

static void race(touched *seen, uint32_t scope, const void *address, int size, int write)
{
    uint32_t me = tid_x + 1, block = ctaid_y * grid_x + ctaid_x + 1;
    if (seen->scope != scope) *seen = (touched){.scope = scope};
    int written = seen->writer && (seen->writer_block != block || (seen->writer != me && seen->wrote_in == epoch));
    int was_read = seen->reader && (seen->reader_block != block || seen->blocks || seen->several_in == epoch ||
                                    (seen->reader != me && seen->read_in == epoch));
    if (written) stop(write ? "a race: two threads write the same bytes" : "a race: what is read another thread writes", address, size);
    if (write && was_read) stop("a race: what is written another thread reads", address, size);
    if (write) {
        seen->writer = me, seen->writer_block = block, seen->wrote_in = epoch;
    } else {
        if (seen->reader && seen->reader != me && seen->read_in == epoch) seen->several_in = epoch;
        if (seen->reader && seen->reader_block != block) seen->blocks = 1;
        seen->reader = me, seen->reader_block = block, seen->read_in = epoch;
    }
}

static array *holding(array *among, int n, const char *address, size_t size)
{
    for (int k = 0; k < n; k++)
        if (address >= among[k].base && address + size <= among[k].base + among[k].size) return &among[k];
    return NULL;
}

void nb_touch(char *address, int size, int write)
{
    char *low = nb_threads_at_once ? stack_low : own_low, *high = nb_threads_at_once ? stack_high : own_high;
    if (address >= low && address < high) return;
    array *found = last;
    if (!found || address < found->base || address + size > found->base + found->size) {
        found = holding(shared, n_shared, address, size);
        if (!found) found = holding(passed, n_passed, address, size);
        if (!found) stop(write ? "a store outside all arrays" : "a load outside all arrays", address, size);
        if (!nb_threads_at_once) last = found;
    }
    if (nb_threads_at_once) return;
    int of_block = found >= shared && found < shared + MOST_SHARED;
    race(&found->shadow[(address - found->base) / found->item], of_block ? block_number : launch_number, address, size, write);
}
static void as_fibre(void)
{
    for (;;) {
        entry_of_block(parameters_of_block);
        states[running] = ENDED;
        if (!_setjmp(fibres[running])) _longjmp(scheduler, 1);
    }
}

static void go_on(uint32_t t)
{
    running = tid_x = t;
    own_low = stacks[t];
    own_high = stacks[t] + STACK;
    if (_setjmp(scheduler)) return;
    if (made[t]) _longjmp(fibres[t], 1);
    static ucontext_t begun;
    made[t] = 1;
    getcontext(&begun);
    begun.uc_stack.ss_sp = stacks[t];
    begun.uc_stack.ss_size = STACK;
    makecontext(&begun, as_fibre, 0);
    setcontext(&begun);
}

static void poison(void)
{
    for (int k = 0; k < n_shared; k++) memset(shared[k].base, 0xFF, shared[k].size);
}

static void block_in_turn(void)
{
    for (uint32_t t = 0; t < ntid_x; t++) {
        if (!stacks[t]) stacks[t] = malloc(STACK);
        states[t] = READY;
    }
    for (;;) {
        uint32_t ended = 0;
        epoch++;
        for (uint32_t k = 0; k < ntid_x; k++) {
            uint32_t t = nb_reversed ? ntid_x - 1 - k : k;
            if (states[t] != ENDED) {
                go_on(t);
                if (stopped) return;
            }
            ended += states[t] == ENDED;
        }
        if (ended == ntid_x) return;
        if (ended) {
            memset(made, 0, sizeof made);
            snprintf(nb_complaint, sizeof nb_complaint, "a barrier that some threads of the block never reach");
            stopped = 1;
            return;
        }
    }
}

static void *as_thread(void *number)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    tid_x = (uint32_t)(uintptr_t)number;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    stack_low = low;
    stack_high = stack_low + size;
    entry_of_block(parameters_of_block);
    pthread_mutex_lock(&gate);
    alive--;
    if (arrived && !stopped) {
        snprintf(nb_complaint, sizeof nb_complaint, "a barrier that some threads of the block never reach");
        stopped = 1;
        pthread_cond_broadcast(&opened);
    }
    pthread_mutex_unlock(&gate);
    return NULL;
}

static void block_at_once(void)
{
    pthread_t threads[MOST_THREADS];
    arrived = 0;
    alive = ntid_x;
    for (uint32_t t = 0; t < ntid_x; t++) pthread_create(&threads[t], NULL, as_thread, (void *)(uintptr_t)t);
    for (uint32_t t = 0; t < ntid_x; t++) pthread_join(threads[t], NULL);
}

/* The driver's functions. */
static int fails(const char *name)
{
    if (lost) return lost;
    if (nb_fails_after >= 0 && !strcmp(name, nb_failing) && nb_fails_after-- == 0) return nb_fails_with;
    return 0;
}
static __thread int contexts;  /* of this thread; the driver wants one */
#define IN_CONTEXT do { if (!contexts) return 201; } while (0)
#define MAY_FAIL do { int why = fails(__func__); if (why) return why; } while (0)

int cuInit(unsigned flags) { MAY_FAIL; return nb_devices ? OK : NO_DEVICE; }
int cuDriverGetVersion(int *version) { *version = nb_version; return OK; }
int cuDeviceGetCount(int *count) { *count = nb_devices; return OK; }
int cuDeviceGet(int *device, int number) { *device = number; return number < nb_devices ? OK : INVALID_VALUE; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "a CPU that plays a GPU"); return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = attribute == 75 ? nb_capability / 10 : attribute == 76 ? nb_capability % 10 : 0;
    return OK;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(uintptr_t)(device + 1); return OK; }
int cuCtxPushCurrent_v2(void *context) { contexts++; return OK; }
int cuCtxPopCurrent_v2(void **context) { IN_CONTEXT; contexts--; *context = NULL; return OK; }
int cuCtxSynchronize(void) { IN_CONTEXT; MAY_FAIL; return OK; }
int cuMemGetInfo_v2(size_t *available, size_t *total) { *available = *total = nb_free_memory; return OK; }

int cuMemAlloc_v2(uintptr_t *address, size_t size)
{
    IN_CONTEXT;
    MAY_FAIL;
    if (n_arrays == MOST_ARRAYS || size > nb_free_memory) return OUT_OF_MEMORY;
    char *base = aligned_alloc(512, size);
    memset(base, 0xFF, size);  /* values that nobody has set are no numbers */
    arrays[n_arrays++] = (array){base, size, 1, calloc(size, sizeof(touched))};
    nb_allocations++;
    nb_free_memory -= size;
    *address = (uintptr_t)base;
    return OK;
}

static int is_there(uintptr_t address, size_t size) { return holding(arrays, n_arrays, (char *)address, size) != NULL; }

int cuMemFree_v2(uintptr_t address)
{
    array *it = holding(arrays, n_arrays, (char *)address, 1);
    if (!it || (char *)address != it->base) return INVALID_VALUE;
    nb_frees++;
    nb_free_memory += it->size;
    free(it->base);
    free(it->shadow);
    *it = arrays[--n_arrays];
    return OK;
}

int cuMemcpyHtoD_v2(uintptr_t there, const void *here, size_t size)
{
    IN_CONTEXT;
    MAY_FAIL;
    nb_to_device++;
    nb_bytes_to_device += size;
    if (!is_there(there, size)) return INVALID_VALUE;
    memcpy((void *)there, here, size);
    return OK;
}

int cuMemcpyDtoH_v2(void *here, uintptr_t there, size_t size)
{
    IN_CONTEXT;
    MAY_FAIL;
    nb_to_host++;
    if (!is_there(there, size)) return INVALID_VALUE;
    memcpy(here, (void *)there, size);
    return OK;
}

int cuMemsetD8_v2(uintptr_t there, unsigned char value, size_t size)
{
    IN_CONTEXT;
    MAY_FAIL;
    nb_memsets++;
    if (!is_there(there, size)) return INVALID_VALUE;
    memset((void *)there, value, size);
    return OK;
}

int cuModuleLoadData(void **module, const void *image)
{
    IN_CONTEXT;
    MAY_FAIL;
    nb_loads++;
    *module = strdup(image);
    return OK;
}

int cuModuleGetFunction(void **function, void *module, const char *name)
{
    kernel *made = calloc(1, sizeof *made);
    *function = made;
    return nb_load(module, name, made);
}

/* The arrays of a launch, as numba lays them out in the parameters: items, bytes of one, the data. */
static int pass_arrays(const kernel *function, const uint64_t *parameters)
{
    n_passed = 0;
    for (int k = 0; k < function->n_arrays; k++) {
        const uint64_t *at = parameters + function->array_at[k] / 8;
        size_t size = at[2] * at[3];
        if (!size) continue;
        array *in = holding(arrays, n_arrays, (char *)at[4], size);
        if (!in) {
            snprintf(nb_complaint, sizeof nb_complaint, "array %d of a launch is not on the device", k);
            return 0;
        }
        passed[n_passed++] = (array){(char *)at[4], size, at[3], in->shadow + ((char *)at[4] - in->base)};
    }
    for (n_shared = 0; n_shared < function->n_shared; n_shared++) {
        array *it = &shared[n_shared];
        it->shadow = realloc(it->shadow, function->shared_size[n_shared] * sizeof(touched));
        *it = (array){(char *)function->shared_at[n_shared], function->shared_size[n_shared], 8, it->shadow};
        memset(it->shadow, 0, it->size * sizeof(touched));
    }
    last = NULL;
    return 1;
}

int cuLaunchKernel(kernel *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, void *stream, void **arguments, void **extra)
{
    IN_CONTEXT;
    MAY_FAIL;
    nb_launches++;
    if (y > nb_rows) nb_rows = y;
    if (!x || !y || y > 65535 || z != 1 || !bx || bx > MOST_THREADS || by != 1 || bz != 1 || arguments || !extra) return INVALID_VALUE;
    if (extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4]) return INVALID_VALUE;
    if (*(size_t *)extra[3] != function->parameters || *(size_t *)extra[3] > 4096) {
        snprintf(nb_complaint, sizeof nb_complaint, "%zu bytes of parameters for a kernel that takes %zu",
                 *(size_t *)extra[3], function->parameters);
        return INVALID_VALUE;
    }
    pthread_mutex_lock(&one_call);
    uint64_t copy[512];
    memcpy(copy, extra[1], *(size_t *)extra[3]);
    parameters_of_block = copy;
    entry_of_block = function->entry;
    ntid_x = bx;
    grid_x = x;
    launch_number++;
    int all_there = pass_arrays(function, copy);
    stopped = 0;
    for (ctaid_y = 0; ctaid_y < y && all_there && !stopped && !nb_idle; ctaid_y++)
        for (ctaid_x = 0; ctaid_x < x && !stopped; ctaid_x++) {
            poison();
            block_number++;
            (nb_threads_at_once ? block_at_once : block_in_turn)();
        }
    pthread_mutex_unlock(&one_call);
    if (!all_there) return INVALID_VALUE;
    return stopped ? (lost = strstr(nb_complaint, "outside") ? ILLEGAL_ADDRESS : FAILED) : OK;
}

int cuGetErrorName(int status, const char **text)
{
    *text = status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : status == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR";
    return OK;
}
int cuGetErrorString(int status, const char **text) { *text = nb_complaint[0] ? nb_complaint : "a failure that was asked for"; return OK; }

/* Forget errors, as a new process would. */
void nb_forget(void)
{
    lost = 0;
    nb_complaint[0] = 0;
    nb_fails_after = -1;
}

#define IT_HAS(name, function) if (!strcmp(symbol, name)) { *found = (void *)(function); return OK; }
int cuGetProcAddress_v2(const char *symbol, void **found, int version, uint64_t flags, int *status)
{
    if (status) *status = 0;
    IT_HAS("cuInit", cuInit) IT_HAS("cuDriverGetVersion", cuDriverGetVersion) IT_HAS("cuDeviceGetCount", cuDeviceGetCount)
    IT_HAS("cuDeviceGet", cuDeviceGet) IT_HAS("cuDeviceGetName", cuDeviceGetName)
    IT_HAS("cuDeviceGetAttribute", cuDeviceGetAttribute) IT_HAS("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain)
    IT_HAS("cuCtxPushCurrent", cuCtxPushCurrent_v2) IT_HAS("cuCtxPopCurrent", cuCtxPopCurrent_v2)
    IT_HAS("cuCtxSynchronize", cuCtxSynchronize) IT_HAS("cuMemGetInfo", cuMemGetInfo_v2)
    IT_HAS("cuMemAlloc", cuMemAlloc_v2) IT_HAS("cuMemFree", cuMemFree_v2) IT_HAS("cuMemcpyHtoD", cuMemcpyHtoD_v2)
    IT_HAS("cuMemcpyDtoH", cuMemcpyDtoH_v2) IT_HAS("cuMemsetD8", cuMemsetD8_v2)
    IT_HAS("cuModuleLoadData", cuModuleLoadData) IT_HAS("cuModuleGetFunction", cuModuleGetFunction)
    IT_HAS("cuLaunchKernel", cuLaunchKernel) IT_HAS("cuGetErrorName", cuGetErrorName)
    IT_HAS("cuGetErrorString", cuGetErrorString)
    *found = NULL;
    if (status) *status = 1;
    return NOT_FOUND;
}
