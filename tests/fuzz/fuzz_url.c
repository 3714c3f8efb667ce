/* Any bytes as a source or as a redirect's Location: what is taken for a URL is one, stays one
 * when it is resolved against itself, and holds nothing that ends a request's line. */
#include <string.h>
#include "fuzz.h"
#include "pailfs/base/xalloc.h"
#include "src/store/url.h"

static void must_be_whole(const char *s)
{
	struct url u;

	must(!url_split(s, &u));
	must(u.host.n);
	must(!u.path.n || u.path.s[0] == '/');
	for (; *s; s++)
		must((unsigned char)*s > ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = xstrndup((const char *)data, size);
	struct buf out = BUF_INIT, again = BUF_INIT;
	struct url u;

	url_split(s, &u);
	if (!url_resolve("https://a.example:8443/b/c/d;p?q", s, &out)) {
		must_be_whole(out.data);
		must(!strstr(out.data, "#"));
		must(!url_resolve(out.data, "", &again));
		must_be_whole(again.data);
	}
	buf_release(&out);
	buf_release(&again);
	free(s);
	return 0;
}
