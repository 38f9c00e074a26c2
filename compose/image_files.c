#include "compose/image_files.h"
#include "compose/image.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSYBOX "/bin/busybox"
#define CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"
#define ZONES "/usr/share/zoneinfo"
#define LIBRARIES 256
#define APPLETS_MAX (64u << 10)

#define USERS "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:" IMAGE_STATE_DIR ":/bin/sh\n"

/* Directories, links and small files that every image has. */
static const struct {
	const char *path;
	enum image_type type;
	mode_t mode;
	unsigned owner;
	const char *text;
} fixed[] = {
        {"bin", IMAGE_LINK, 0777, 0, "usr/bin"},
        {"sbin", IMAGE_LINK, 0777, 0, "usr/bin"},
        {"lib", IMAGE_LINK, 0777, 0, "usr/lib"},
        {"lib64", IMAGE_LINK, 0777, 0, "usr/lib64"},
        {"etc", IMAGE_DIR, 0755, 0, NULL},
        {"etc/group", IMAGE_FILE, 0644, 0, "root:x:0:\nnonroot:x:65532:\n"},
        {"etc/nsswitch.conf", IMAGE_FILE, 0644, 0, "passwd: files\ngroup: files\nhosts: files dns\n"},
        {"etc/passwd", IMAGE_FILE, 0644, 0, USERS},
        {"etc/ssl", IMAGE_DIR, 0755, 0, NULL},
        {"etc/ssl/certs", IMAGE_DIR, 0755, 0, NULL},
        {"tmp", IMAGE_DIR, 01777, 0, NULL},
        {"usr", IMAGE_DIR, 0755, 0, NULL},
        {"usr/bin", IMAGE_DIR, 0755, 0, NULL},
        {"usr/lib", IMAGE_DIR, 0755, 0, NULL},
        {"usr/lib64", IMAGE_DIR, 0755, 0, NULL},
        {"usr/share", IMAGE_DIR, 0755, 0, NULL},
        {"var", IMAGE_DIR, 0755, 0, NULL},
        {"var/lib", IMAGE_DIR, 0755, 0, NULL},
        {"var/lib/codefoundry", IMAGE_DIR, 0700, IMAGE_UID, NULL},
};

static const struct image_entry *add(struct image_files *f, const char *path, enum image_type type,
                                     mode_t mode, const char *text)
{
	f->list = mem_resize(f->list, f->n + 1, sizeof(*f->list));
	f->list[f->n] = (struct image_entry){.path = mem_strdup(path + (*path == '/')),
	                                     .type = type,
	                                     .mode = mode,
	                                     .text = text ? mem_strdup(text) : NULL,
	                                     .size = text && type == IMAGE_FILE ? (int64_t)strlen(text) : 0};
	return &f->list[f->n++];
}

static int add_file(struct image_files *f, const char *path, const char *source, mode_t mode, struct err *err)
{
	struct stat st;
	if (stat(source, &st))
		return err_sys(err, errno, "image: %s", source);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "image: %s is no file", source);
	struct image_entry *e = (struct image_entry *)add(f, path, IMAGE_FILE, mode, NULL);
	e->source = mem_strdup(source);
	e->size = st.st_size;
	return 0;
}

/* Of the machine, from a package. */
static int add_packaged(struct image_files *f, const char *path, const char *package, mode_t mode,
                        struct err *err)
{
	if (access(path, R_OK))
		return err_set(err, ERR_NOT_FOUND,
		               "image: %s is missing: install the package %s (apt-get install %s)", path,
		               package, package);
	return add_file(f, path, path, mode, err);
}

/* -- the program and its libraries -- */

/* Objects of this process that the image needs, found by their names in the loader's list. */
struct closure {
	const struct link_map *head, *found[LIBRARIES];
	size_t n;
};

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void closure_add(struct closure *c, const struct link_map *map)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->found[i] == map)
			return;
	if (c->n < LIBRARIES)
		c->found[c->n++] = map;
}

/* What ${map} names as needed. The loader has made the addresses in its dynamic section absolute. */
static void closure_follow(struct closure *c, const struct link_map *map)
{
	const char *strings = NULL;
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	for (const ElfW(Dyn) *d = map->l_ld; strings && d->d_tag != DT_NULL; d++)
		for (const struct link_map *m = d->d_tag == DT_NEEDED ? c->head : NULL; m; m = m->l_next)
			if (!strcmp(base_of(m->l_name), strings + d->d_un.d_val))
				closure_add(c, m);
}

/* Also what is loaded while it runs: libuv's glue of libwebsockets; libgcc_s, which pthread_cancel(3) wants. Other
 * libraries in this process (name service modules, what is preloaded) are this machine's business. */
static int closure_find(struct closure *c, struct err *err)
{
	static const char *const opened[] = {"libwebsockets-evlib_uv.so", "libgcc_s.so.1"};
	void *self = dlopen(NULL, RTLD_NOW);
	if (!self || dlinfo(self, RTLD_DI_LINKMAP, &c->head))
		return err_set(err, ERR_FAILED, "image: %s", dlerror());
	closure_add(c, c->head);
	for (size_t i = 0; i < ARRAY_LEN(opened); i++) {
		struct link_map *map = NULL;
		void *handle = dlopen(opened[i], RTLD_NOW | RTLD_NODELETE);
		if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map))
			return err_set(err, ERR_NOT_FOUND, "image: %s", dlerror());
		closure_add(c, map);
	}
	for (size_t i = 0; i < c->n; i++)
		closure_follow(c, c->found[i]);
	if (c->n == LIBRARIES)
		return err_set(err, ERR_LIMIT, "image: more than %d libraries", LIBRARIES);
	return 0;
}

/* Path of the loader as the program names it; NULL when it is static. */
static const char *loader_path(void)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR), *interp = NULL;
	uintptr_t base = 0;
	for (size_t i = 0; headers && i < getauxval(AT_PHNUM); i++) {
		if (headers[i].p_type == PT_PHDR)
			base = (uintptr_t)headers - headers[i].p_vaddr;
		if (headers[i].p_type == PT_INTERP)
			interp = &headers[i];
	}
	return interp ? (const char *)(base + interp->p_vaddr) : NULL;
}

/* The real directory of libc, which the loader searches by default, with those above it. The caller frees it. */
static char *library_dir(struct image_files *f, const struct closure *c)
{
	char *dir = NULL;
	for (size_t i = 0; i < c->n && !dir; i++)
		if (!strncmp(base_of(c->found[i]->l_name), "libc.so", 7))
			dir = realpath(c->found[i]->l_name, NULL);
	if (!dir)
		return NULL;
	*strrchr(dir, '/') = '\0';
	if (strncmp(dir, "/usr/", 5) != 0) { /* / and /usr are one in the image */
		char *usr = mem_printf("/usr%s", dir);
		free(dir);
		dir = usr;
	}
	if (!strncmp(dir, "/usr/lib/", 9))
		add(f, dir, IMAGE_DIR, 0755, NULL);
	return dir;
}

static int add_program(struct image_files *f, struct err *err)
{
	struct closure c = {0};
	const char *loader = loader_path();
	if (!loader)
		return err_set(err, ERR_FAILED, "image: the program has no loader");
	if (closure_find(&c, err) || add_file(f, "usr/bin/codefoundry", "/proc/self/exe", 0755, err))
		return -1;
	cleanup_free char *dir = library_dir(f, &c);
	for (size_t i = 0; i < c.n; i++) {
		const char *name = c.found[i]->l_name;
		if (!strchr(name, '/'))
			continue; /* the program itself; the kernel's own */
		bool is_loader = !strcmp(base_of(name), base_of(loader));
		cleanup_free char *path = is_loader
		                                  ? mem_printf("usr%s", loader)
		                                  : mem_printf("%s/%s", dir ? dir : "usr/lib", base_of(name));
		if (add_file(f, path, name, 0755, err))
			return -1;
	}
	return 0;
}

/* -- of the machine -- */

/* Whether ${path} is a program that needs no loader. */
static bool is_static(const char *path)
{
	ElfW(Ehdr) head;
	ElfW(Phdr) one;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	for (int i = 0; i < head.e_phnum; i++)
		if (pread(fd, &one, sizeof(one), (off_t)(head.e_phoff + (size_t)i * sizeof(one))) !=
		            sizeof(one) ||
		    one.p_type == PT_INTERP)
			return false;
	return true;
}

static int add_applets(struct image_files *f, struct err *err)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = (const char *const[]){BUSYBOX, "--list", NULL};
	if (proc_run(&spec, NULL, 10000, APPLETS_MAX, &r, err))
		return err_wrap(err, "image");
	char *rest = r.out;
	for (char *name; (name = strsep(&rest, "\n"));) {
		cleanup_free char *path = mem_printf("usr/bin/%s", name);
		if (*name && !strchr(name, '/') && strcmp(name, "busybox") != 0)
			add(f, path, IMAGE_LINK, 0777, "busybox");
	}
	int rc = r.status ? err_set(err, ERR_FAILED, "image: " BUSYBOX " --list failed") : 0;
	proc_result_free(&r);
	return rc;
}

static int add_shell(struct image_files *f, bool complete, struct err *err)
{
	if (access(BUSYBOX, X_OK) == 0 && !is_static(BUSYBOX))
		return err_set(err, ERR_INVALID,
		               "image: " BUSYBOX
		               " needs libraries: install the package busybox-static instead of busybox");
	if (add_packaged(f, BUSYBOX, "busybox-static", 0755, err))
		return -1;
	struct image_entry *e = &f->list[f->n - 1];
	free(e->path);
	e->path = mem_strdup("usr/bin/busybox");
	return complete ? add_applets(f, err) : 0;
}

/* ${dir} and all in it; links only when they stay within. */
static int add_zones(struct image_files *f, const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	int rc = d ? 0 : err_sys(err, errno, "image: %s", dir);
	if (d)
		add(f, dir, IMAGE_DIR, 0755, NULL);
	for (struct dirent *e; !rc && d && (e = readdir(d));) {
		cleanup_free char *path = mem_printf("%s/%s", dir, e->d_name);
		char target[256] = "";
		struct stat st;
		if (e->d_name[0] == '.' || !strcmp(path, ZONES "/right") || !strcmp(path, ZONES "/posix") ||
		    lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			rc = add_zones(f, path, err);
		else if (S_ISREG(st.st_mode))
			rc = add_file(f, path, path, 0644, err);
		else if (S_ISLNK(st.st_mode) && readlink(path, target, sizeof(target) - 1) > 0 &&
		         target[0] != '/')
			add(f, path, IMAGE_LINK, 0777, target);
	}
	if (d)
		closedir(d);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct image_entry *)a)->path, ((const struct image_entry *)b)->path);
}

int image_files_find(struct image_files *files, bool complete, struct err *err)
{
	*files = (struct image_files){0};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		add(files, fixed[i].path, fixed[i].type, fixed[i].mode, fixed[i].text);
		files->list[i].owner = fixed[i].owner;
	}
	if (add_program(files, err) || add_shell(files, complete, err) ||
	    add_packaged(files, CERTIFICATES, "ca-certificates", 0644, err))
		return -1;
	if (access(ZONES "/UTC", R_OK))
		return err_set(err, ERR_NOT_FOUND,
		               "image: " ZONES
		               " is missing: install the package tzdata (apt-get install tzdata)");
	if (add_zones(files, ZONES, err))
		return -1;
	qsort(files->list, files->n, sizeof(*files->list), by_path);
	return 0;
}

void image_files_free(struct image_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->list[i].path);
		free(files->list[i].source);
		free(files->list[i].text);
	}
	free(files->list);
	*files = (struct image_files){0};
}

int image_files_key(const struct image_files *files, char hex[SHA256_HEX + 1], struct err *err)
{
	struct sha256 *sum = sha256_begin();
	int rc = 0;
	for (size_t i = 0; i < files->n && !rc; i++) {
		const struct image_entry *e = &files->list[i];
		struct stat st = {0};
		if (e->source && stat(e->source, &st))
			rc = err_sys(err, errno, "image: %s", e->source);
		cleanup_free char *line =
		        mem_printf("%s %c %o %u %s %lld %llu %lld.%09ld %lld.%09ld\n", e->path, e->type,
		                   e->mode, e->owner, e->text ? e->text : "", (long long)e->size,
		                   (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
		                   st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
		sha256_add(sum, line, strlen(line));
	}
	sha256_end(sum, hex);
	return rc;
}
