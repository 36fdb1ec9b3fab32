package protocol

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Error codes that this package answers by itself.
const (
	errUnsupportedVersion = 35
	errInvalidRequest     = 42
)

// Features are the cluster's features (KIP-584) as ApiVersions tells them.
type Features struct {
	Supported      []kmsg.ApiVersionsResponseSupportedFeature
	Finalized      []kmsg.ApiVersionsResponseFinalizedFeature
	FinalizedEpoch int64 // -1 unknown
}

var softwarePattern = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// namesSoftware tells whether a request names its client's software properly (KIP-511).
func namesSoftware(req *kmsg.ApiVersionsRequest) bool {
	return softwarePattern.MatchString(req.ClientSoftwareName) && softwarePattern.MatchString(req.ClientSoftwareVersion)
}

// ApiVersions fills the response to req from the table. A client software name or version
// that is not of the form KIP-511 asks for gets INVALID_REQUEST. A version of ApiVersions that
// is not served never gets here: the connection answers it in version 0 with
// UNSUPPORTED_VERSION and the range of ApiVersions alone.
func (t *Table) ApiVersions(req *kmsg.ApiVersionsRequest, resp *kmsg.ApiVersionsResponse, f Features) {
	if req.Version >= 3 && !namesSoftware(req) {
		resp.ErrorCode = errInvalidRequest
		return
	}
	resp.ApiKeys = t.Versions()
	resp.FinalizedFeatures, resp.FinalizedFeaturesEpoch = f.Finalized, f.FinalizedEpoch
	for _, s := range f.Supported {
		// Before version 4 clients cannot read a minimum of 0 (KAFKA-17011, KAFKA-17492).
		if s.MinVersion > 0 || req.Version >= 4 {
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
	}
}

// unsupportedApiVersions is the answer to an ApiVersions request of a version that is not
// served: the client does not yet know what is, so it is told in the version every client reads.
func (t *Table) unsupportedApiVersions() kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = errUnsupportedVersion
	if e := t.apis[kmsg.ApiVersions]; e != nil {
		resp.ApiKeys = append(resp.ApiKeys, e.advertised())
	}
	return resp
}
